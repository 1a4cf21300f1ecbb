"""Whether an instruction asks for the very thing a guard punishes: then the judge decides, not the guard.

By words, English and Chinese. A word too many costs a guard its say in one edit; a word too few a reward.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """What an instruction asks for, as far as guards must know."""

    nothing: bool = False
    """The picture as it is."""
    fine: bool = False
    """Tone, sharpness, grain: what changes everything a little."""
    movement: bool = False
    """Of the picture in its frame: a crop, zoom, turn."""
    frame: bool = False
    """A frame, bars, margins."""
    shape: bool = False
    """Another shape or size of the picture."""
    plain: bool = False
    """A picture of one colour."""
    understood: bool = True
    """Whether it is in a language whose words are known here."""


def _words(listed: str) -> re.Pattern[str]:
    """Patterns between semicolons: Latin ones as whole words and in any case, Chinese ones anywhere."""
    words = [" ".join(word.split()) for word in listed.split(";")]
    latin = [word for word in words if word.isascii()]
    others = [word for word in words if not word.isascii()]
    return re.compile(rf"\b(?:{'|'.join(latin)})\b|{'|'.join(others)}", re.IGNORECASE)


_PICTURE = r"(?:it|this|everything|(?:the |this )?(?:original )?(?:image|picture|photo\w*))"
_LEFT = r"(?:unchanged|as (?:it )?is|as-is|identical|untouched|unmodified|unedited|alone|the same)"
_NOTHING = re.compile(
    r"^\W*(?:please\s+)?(?:just\s+)?(?:"
    rf"(?:keep|leave|return|reproduce|copy|output|reconstruct|give back)\b[^,;.]*\b{_LEFT}"
    r"|(?:keep|return|output|give back)\b[^,;.]*\bwithout (?:any )?(?:changes?|edits?)"
    rf"|(?:reproduce|copy|reconstruct|return) {_PICTURE}"
    r"|(?:do not|don'?t|never) (?:change|edit|modify|alter|touch)"
    rf"(?: (?:anything|a thing|at all|{_PICTURE}))?"
    r"|(?:(?:do not|don'?t) make|make no|no) (?:any )?(?:changes?|edits?|modifications?)"
    rf"(?: (?:at all|please|needed|to {_PICTURE}))?"
    r"|do nothing)(?: at all| please)?\W*$"
    r"|^\W*请?(?:(?:图片|图像|画面|照片|原图)?保持(?:图片|图像|画面|照片|原图)?(?:不变|原样)"
    r"|(?:不要?|别|勿)(?:做)?(?:任何)?(?:修改|改动|编辑|改变|更改|改)"
    r"(?:这张|这幅|该)?(?:图片|图像|画面|照片|原图|图)?"
    r"|什么都不(?:要)?改|输出原图|返回原图)\W*$",
    re.IGNORECASE,
)
_FINE = _words(
    r"""
    slight(?:ly)?; subtl[ey]; a bit; a little; a touch; faint(?:ly)?; gentl[ey]; brighten\w*; brighter;
    brightness; darken\w*; darker; lighten\w*; lighter; dim(?:mer|med|ming)?; contrast\w*;
    expos(?:ed|ure|e); overexpos\w+; underexpos\w+; saturat\w+; desaturat\w+; vibran\w+; vivid\w*;
    warmer; warmth; warm (?:light\w*|tones?|colou?rs?|look|glow|evening|sun\w*); cooler; colder; cool
    (?:light\w*|tones?|colou?rs?|look); temperature; tints?; tinted; tones?; toning; hue; gamma;
    colou?r[- ]?(?:grad\w+|correct\w+|balance); white balance; grading; curves?; grain\w*; noisy; noise;
    denois\w+; sharp\w*; blur\w*; deblur\w*; clarity; clearer; crisp\w*; enhanc\w+; improv\w+;
    resolution; upscal\w+; super-?res\w*; restor\w+; compress\w*; artifacts?; artefacts?; retouch\w*;
    smooth(?:en|ed|er|ing)?; soft(?:en|ened|er|ening)?; fad(?:e|ed|ing); mut(?:e|ed|ing); pale(?:r|d)?;
    dull(?:er)?; retro; vintage; aged; wrinkles?; blemish\w*; spots?; scratch\w*; dust; dusty;
    haz[ey]\w*; dehaz\w+; fogg?y?; mist\w*; vignett\w+; matte; moire; watermark\w*; hdr; 4k; 8k;
    gr[ae]yscale; monochrom\w+; (?:to|into|in|it|image|picture|photo) black[- ]and[- ]white; sepia;
    (?:make|turn|render) (?:it|this|the
    (?:image|picture|photo\w*|scene|lighting|light|colou?rs?|tones?|sky)) (?:\w+
    ){0,3}(?:bright|dark|warm|cool|cold|pale|moody|dull|light);
    稍; 略; 轻微; 一点; 微调; 调亮; 变亮; 提亮; 更亮; 亮一; 亮度; 调暗; 变暗;
    压暗; 更暗; 暗一; 对比; 曝光; 饱和; 色温; 色调; 色彩; 调色; 暖; 变冷; 冷色;
    颗粒; 噪; 锐; 清晰; 模糊; 画质; 增强; 分辨率; 超分; 修复; 压缩; 磨皮; 去雾;
    雾; 水印; 黑白; 灰度; 质感; 高光; 肤色; 淡; 柔和; 柔化; 褪色; 复古; 做旧
    """
)
_MOVEMENT = _words(
    r"""
    straighten\w*; level (?:it|the (?:image|picture|photo|horizon|shot|camera)); rotat\w+; tilt\w*;
    turn(?:ed|ing)? (?:it |the \w+ )?(?:by|left|right|upside); zoom\w*; crop\w*; trim (?:it|the
    (?:image|picture|photo|edges?|borders?|margins?)); shift\w*; mov(?:e|ed|ing) (?:the
    )?(?:camera|view\w*|frame|picture|image|photo); pan(?:ned|ning)? (?:left|right|up|down|the|to);
    re-?fram\w+; align\w*; perspective; distort\w+; lens (?:distortion|correction); skew\w*; flip\w*;
    mirror(?:ed|ing)? (?:it|the (?:image|picture|photo)|horizontally|vertically); re-?cent(?:er|re)\w*;
    cent(?:er|re) (?:it|the (?:subject|image|picture|photo|object|person)); camera
    (?:angle|move\w*|position|view|closer|back|up|down); angle; viewpoint; closer; further away;
    farther; wider; widen\w*; wide[- ]?(?:screen|angle|shot); degrees?;
    旋转; 倾斜; 拉直; 扶正; 校正; 缩放; 放大; 缩小; 裁; 平移; 镜头拉; 推镜头;
    拉镜头; 视角; 透视; 畸变; 翻转; 镜像; 居中; 对齐; 拉近; 拉远
    """
)
_FRAME = _words(
    r"""
    rotat\w+; straighten\w*; tilt\w*; frame; frames (?:it|the|around); framed; framing; border\w*;
    polaroid\w*; letter-?box\w*; pillar-?box\w*; (?:black|white|cinematic|side|top|bottom|colou?red)
    (?:bars?|bands?|strips?); bars (?:at|on|above|below|to); margins?; padd(?:ed|ing); pad
    (?:it|the|to); passe-?partout; picture mat; (?:thick|thin|wide|black|white|colou?red) (?:\w+
    )?edges?; surround (?:it|this|the (?:image|picture|photo)); cinema\w*; widescreen; cinematic; film
    (?:strip|frame|look|still); postcard\w*; polaroid;
    (?:trading|playing|greeting|birthday|business|invitation) cards?; stickers?; screenshots?;
    collages?; grid; panels?; comics?; captions?; memes?; subtitles?; titles?; headers?; footers?; blank
    space; white ?space; extend\w*; expand\w*; outpaint\w*; uncrop\w*; infographic\w*; storyboards?;
    split\w*; side by side; (?:into|as|like|to) an? (?:\w+
    ){0,2}(?:posters?|covers?|cards?|postcards?|stamps?|stickers?|screenshots?|collages?|comics?|slides?|banners?|memes?|pages?|documents?|blueprints?|storyboards?|magazines?|infographics?);
    边框; 边缘; 加边; 白边; 黑边; 留边; 描边; 相框; 画框; 外框; 加框; 框;
    拍立得; 黑条; 白条; 留白; 画布; 电影画; 电影感; 宽银幕; 海报; 封面; 卡片;
    贺卡; 明信片; 邮票; 贴纸; 拼图; 拼贴; 漫画; 字幕; 标题; 扩图; 扩展; 外扩;
    宫格; 分镜; 截图; 幻灯
    """
)
_SHAPE = _words(
    r"""
    extend\w*; expand\w*; outpaint\w*; uncrop\w*; crop\w*; wider; widen\w*; widescreen; taller;
    narrower; (?:make|crop|cut|pad) (?:it|this|the \w+) (?:to |into )?(?:a )?square; square
    (?:format|crop|canvas|image|picture|photo|aspect|version); aspect\w*; ratio\w*; portrait
    (?:format|mode|orientation|version); landscape (?:format|mode|orientation|version); panoram\w+;
    rotat\w+; resiz\w+; dimension\w*; image size; size of (?:the )?(?:image|picture|photo); scale
    (?:it|the (?:image|picture|photo)); zoom\w*; banners?; wallpapers?; vertical
    (?:format|video|version|image|picture|crop); horizontal (?:format|version|image|picture|crop);
    clockwise; degrees?; canvas; stretch\w*; squash\w*; squeez\w+; letter-?box\w*; polaroid\w*; pixels?;
    \d{1,5} ?px; \d{1,5} ?[:x×] ?\d{1,5}; cinema\w*; frame; framed; border\w*; padd(?:ed|ing); margins?;
    trim\w*; thumbnails?; icon; collages?; grid; side by side; split\w*; (?:into|as|like|to) an? (?:\w+
    ){0,2}(?:posters?|covers?|cards?|postcards?|stamps?|stickers?|screenshots?|collages?|comics?|slides?|banners?|memes?|pages?|documents?|blueprints?|storyboards?|magazines?|infographics?);
    扩图; 扩展; 外扩; 裁; 剪裁; 旋转; 正方形画; 正方形图; 方图; 方形画; 变成正方形;
    横版; 横屏; 横向; 横幅; 竖版; 竖屏; 竖向; 比例; 尺寸; 缩放; 拉远; 全景;
    画布; 壁纸; 拍立得; 边框; 相框; 像素; 加宽; 宽屏; 宽幅; 分辨率; 拼图; 拼贴;
    拼接; 宫格; 头像
    """
)
_PLAIN = _words(
    r"""
    (?:solid|plain|blank|empty|pure|uniform|flat) (?:\w+
    )?(?:image|picture|photo|canvas|frame|screen|colou?r); blank; single[- ]colou?r\w*; one colou?r;
    (?:all|everything|fully|completely|entirely|totally)
    (?:black|white|gr[ae]y|red|green|blue|yellow|orange|purple|pink|brown|beige);
    (?:whole|entire|complete) (?:image|picture|photo\w*|canvas|scene|screen|frame|thing);
    (?:fill|cover|paint|colou?r|flood) (?:over )?(?:it|everything|the
    (?:image|picture|photo\w*|canvas|frame|scene|screen)); nothing but; silhouettes?; darkness;
    whiteout; fog\w*; erase everything; remove everything; black ?out; minimalis\w*;
    纯色; 纯黑图; 纯白图; 整张; 整幅; 整个画; 整个图; 全黑; 全白; 全部涂; 涂黑;
    涂白; 空白; 清空; 单色; 剪影
    """
)
_ENGLISH = re.compile(
    r"\b(?:the|an?|to|of|in|with|and|on|it|is|make|add|remove|change|replace|turn|put|into|his|her|their|its|this|that"
    r"|from|as|for|at|by|give|move|swap|delete|erase|write|draw|color|colour|background|keep|transform|convert)\b",
    re.IGNORECASE,
)
_CHINESE = re.compile("[\u4e00-\u9fff]")
_JAPANESE_KANA = re.compile("[\u3040-\u30ff]")


def asked_for(instruction: str) -> Asked:
    """What the instruction asks for. What is not understood may ask for anything: only pixels speak then."""
    chinese = bool(_CHINESE.search(instruction)) and not _JAPANESE_KANA.search(instruction)
    return Asked(
        nothing=bool(_NOTHING.search(instruction)),
        fine=bool(_FINE.search(instruction)),
        movement=bool(_MOVEMENT.search(instruction)),
        frame=bool(_FRAME.search(instruction)),
        shape=bool(_SHAPE.search(instruction)),
        plain=bool(_PLAIN.search(instruction)),
        understood=chinese or bool(_ENGLISH.search(instruction)),
    )
